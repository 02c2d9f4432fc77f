/* @comment@ */
static void snn_@name@(snn_state *state@if takes_input@, const snn_input *input@end@)
{
    uint32_t filter, k;
    @sum_type@ *sums = @sums@;
@if draws@
    uint64_t key = @key@;
@end@
    for (filter = 0; filter < @filters@u; filter += @lanes@u) {
@if shared@
        uint32_t shift, bias = 0;
        for (shift = 0; shift < 32u; shift += @bits@u) {
            /* No sum is negative with half of the range added. */
            bias += (uint32_t)(@bias@ + @zero@) << shift;
        }
@end@
@if !shared@
        @sum_type@ bias = (@sum_type@)(@bias@);
@end@
        for (k = 0; k < @area@u; k++) {
            sums[k] = bias;
        }
        snn_@kernel@(@source@, @first@, @channels@u, @height@u, @width@u, snn_@weights@,
            filter * @taps@u, sums, @rows@u, @columns@u@if shared@, @bits@u@end@);
@if shared@
        for (shift = 0, k = filter; shift < 32u; shift += @bits@u, k++) {
            @then@
        }
@end@
@if !shared@
        @then@
@end@
    }
}
