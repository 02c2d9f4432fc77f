/* Add up what the spikes of some channels, [channels, height, width], weigh for one filter, from a spike and a weight on:
 *
 *     sums[oy][ox] += weight[channel][ky][kx]   where oy * @stride_y@ + ky * @dilation_y@ == y + @padding_y@,
 *                                               and ox * @stride_x@ + kx * @dilation_x@ == x + @padding_x@
 */
static void snn_@name@(const uint32_t *spikes, uint32_t spike, uint32_t channels, uint32_t height, uint32_t width,
    const uint32_t *weights, uint32_t weight, @sum_type@ *sums, uint32_t rows, uint32_t columns)
{
    @weight_type@ kernel[@taps@];
    for (; channels != 0; channels--) {
        uint32_t k, y, first, size;
        for (k = 0; k < @taps@u; k++, weight++) {
            kernel[k] = (@weight_type@)(@weight@);
        }
        for (y = 0; y < height; y++) {
            for (first = 0; first < width; first += size, spike += size) {
                uint32_t word;
                size = width - first < 32u ? width - first : 32u;
                for (word = snn_read(spikes, spike, size); word != 0; word &= word - 1u) {
                    uint32_t x = first + snn_lowest_bit(word), ky, kx;
                    for (ky = 0; ky < @kernel_height@u; ky++) {
                        /* What is beyond the border has wrapped around, to more than there are rows. */
                        uint32_t down = y + @padding_y@u - ky * @dilation_y@u, oy = down / @stride_y@u;
                        if (oy >= rows || oy * @stride_y@u != down) {
                            continue;
                        }
                        for (kx = 0; kx < @kernel_width@u; kx++) {
                            uint32_t across = x + @padding_x@u - kx * @dilation_x@u, ox = across / @stride_x@u;
                            if (ox < columns && ox * @stride_x@u == across) {
                                @sum_type@ *sum = sums + oy * columns + ox;
                                *sum = (@sum_type@)(*sum + @product@);
                            }
                        }
                    }
                }
            }
        }
    }
}
