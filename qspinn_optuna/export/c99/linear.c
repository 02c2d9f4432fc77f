/* @comment@ */
static void snn_@name@(snn_state *state@if takes_input@, const snn_input *input@end@)
{
    @sum_type@ *sums = @sums@;
    uint32_t i;
    for (i = 0; i < @count@u; i++) {
        sums[i] = (@sum_type@)(@bias@);
    }
    snn_@kernel@(@source@, @rows@u, @inputs@u, snn_@weights@, sums, @outputs@u);
}
