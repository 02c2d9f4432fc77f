/* @comment@ */
static void snn_@name@(snn_state *state@if takes_input@, const snn_input *input@end@)
{
    uint32_t i;
@if draws@
    uint64_t key = @key@;
@end@
    for (i = 0; i < @count@u; i++) {
        @body@
    }
}
