/* Add up what the spikes of some channels, [channels, height, width], weigh, from a spike and a weight on:
 *
 *     sums[oy][ox] += weight[channel][ky][kx]   where @stride_y@ * oy + ky == y + @padding_y@,
 *                                               and @stride_x@ * ox + kx == x + @padding_x@
@if shared@
 *
 * Several filters are computed at a time: their sums share words, `bits` bits each.
@end@
 */
static void snn_@name@(const uint32_t *spikes, uint32_t spike, uint32_t channels, uint32_t height,
    uint32_t width, const uint32_t *weights, uint32_t weight, @sum_type@ *sums, uint32_t rows, uint32_t columns@if shared@, uint32_t bits@end@)
{
    @weight_type@ kernel[@span_y@ * @span_x@]@cleared@;
@if shared@
    uint32_t filter = channels * @taps@u;
@end@
    for (; channels != 0; channels--) {
        uint32_t k, y, first, size;
        for (k = 0; k < @taps@u; k++, weight++) {
@if !shared@
            kernel[@tap@] = (@weight_type@)(@weight@);
@end@
@if shared@
            uint32_t shift, at = weight, tap = 0;
            /* A weight that is negative borrows from the next, to give it back when sums are taken apart. */
            for (shift = 0; shift < 32u; shift += bits, at += filter) {
                tap += (uint32_t)(@weight@) << shift;
            }
            kernel[@tap@] = tap;
@end@
        }
        for (y = 0; y < height; y++) {
            /* The first ky that meets a row of sums; every @stride_y@ further, ky meets the row above. */
            uint32_t down = y + @padding_y@u, most_down = (rows - 1u) * @stride_y@u;
            uint32_t top = down > most_down ? down - most_down : down % @stride_y@u;
            for (first = 0; first < width; first += size, spike += size) {
                uint32_t word;
                size = width - first < 32u ? width - first : 32u;
                for (word = snn_read(spikes, spike, size); word != 0; word &= word - 1u) {
                    uint32_t across = first + snn_lowest_bit(word) + @padding_x@u, most = (columns - 1u) * @stride_x@u;
                    uint32_t left = across > most ? across - most : across % @stride_x@u;
                    uint32_t right = across < @span_x@u ? across + 1u : @span_x@u, ky;
                    for (ky = top; ky < @span_y@u && ky <= down; ky += @stride_y@u) {
                        const @weight_type@ *row = kernel + ky * @span_x@u;
                        uint32_t o = (down - ky) / @stride_y@u * columns + (across - left) / @stride_x@u, kx;
                        for (kx = left; kx < right; kx += @stride_x@u, o--) {
                            sums[o] = (@sum_type@)(sums[o] + @product@);
                        }
                    }
                }
            }
        }
    }
}
