/* Add up what the values of some channels, [channels, height, width], give, from a value and a weight on:
 *
 *     sums[oy][ox] += weight[channel][ky][kx] * x[channel][y][x]   where y == @stride_y@ * oy + @dilation_y@ * ky - @padding_y@,
 *                                                                  and x == @stride_x@ * ox + @dilation_x@ * kx - @padding_x@
@if shared@
 *
 * Several filters are computed at a time: their sums share words, `bits` bits each.
@end@
 */
static void snn_@name@(const @source_type@ *source, uint32_t value, uint32_t channels, uint32_t height,
    uint32_t width, const uint32_t *weights, uint32_t weight, @sum_type@ *sums, uint32_t rows, uint32_t columns@if shared@, uint32_t bits@end@)
{
    @weight_type@ kernel[@taps@];
@if shared@
    uint32_t filter = channels * @taps@u;
@end@
    for (; channels != 0; channels--, value += height * width) {
        uint32_t k, oy, ox, ky, kx;
        @sum_type@ *to = sums;
        for (k = 0; k < @taps@u; k++, weight++) {
@if !shared@
            kernel[k] = (@weight_type@)(@weight@);
@end@
@if shared@
            uint32_t shift, at = weight;
            kernel[k] = 0;
            /* A weight that is negative borrows from the next, to give it back when sums are taken apart. */
            for (shift = 0; shift < 32u; shift += bits, at += filter) {
                kernel[k] += (uint32_t)(@weight@) << shift;
            }
@end@
        }
        for (oy = 0; oy < rows; oy++) {
            for (ox = 0; ox < columns; ox++) {
                @type@ sum = *to;
                for (ky = 0; ky < @kernel_height@u; ky++) {
                    /* What is beyond the border has wrapped around, to more than there are rows. */
                    uint32_t y = oy * @stride_y@u + ky * @dilation_y@u - @padding_y@u;
                    const @weight_type@ *tap = kernel + ky * @kernel_width@u;
                    for (kx = 0; y < height && kx < @kernel_width@u; kx++, tap++) {
                        uint32_t x = ox * @stride_x@u + kx * @dilation_x@u - @padding_x@u;
                        if (x < width) {
                            uint32_t i = value + y * width + x;
                            sum += @product@;
                        }
                    }
                }
                *to++ = (@sum_type@)sum;
            }
        }
    }
}
