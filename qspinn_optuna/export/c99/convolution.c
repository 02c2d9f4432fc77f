/* @comment@ */
static void snn_@name@(snn_state *state@input@)
{
    uint32_t filter, k;
    @sum_type@ *sums = @sums@;
@key@    for (filter = 0; filter < @filters@u; filter += @lanes@u) {
        @sum_type@ bias = (@sum_type@)(@bias@);
        for (k = 0; k < @area@u; k++) {
            sums[k] = bias;
        }
        snn_@kernel@(@source@, @first@, @channels@u, @height@u, @width@u,
            snn_@weights@, filter * @taps@u, sums, @rows@u, @columns@u);
@then@
    }
}
