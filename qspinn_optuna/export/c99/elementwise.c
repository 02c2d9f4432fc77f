/* @comment@ */
static void snn_@name@(snn_state *state@input@)
{
    uint32_t i;
@key@    for (i = 0; i < @count@u; i++) {
        @body@
    }
}
