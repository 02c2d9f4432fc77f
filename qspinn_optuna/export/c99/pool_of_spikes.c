/* Whether there is a spike in each window of @kernel_y@ x @kernel_x@ neurons, every @stride_y@ down and @stride_x@ across. */
static void snn_@name@(const uint32_t *source, uint32_t channels, uint32_t height, uint32_t width,
    uint32_t *target, uint32_t rows, uint32_t columns)
{
    uint32_t spike = 0, window = 0, y, first, size;
    snn_fill(target, channels * rows * columns, 1u, 0);
    for (; channels != 0; channels--, window += rows * columns) {
        for (y = 0; y < height; y++) {
            for (first = 0; first < width; first += size, spike += size) {
                uint32_t word;
                size = width - first < 32u ? width - first : 32u;
                for (word = snn_read(source, spike, size); word != 0; word &= word - 1u) {
                    uint32_t down = y + @padding_y@u, across = first + snn_lowest_bit(word) + @padding_x@u;
@if !overlap@
                    uint32_t oy = down / @stride_y@u, ox = across / @stride_x@u, o = window + oy * columns + ox;
                    if (oy < rows && ox < columns && down % @stride_y@u < @kernel_y@u &&
                        across % @stride_x@u < @kernel_x@u) {
                        target[o / 32u] |= UINT32_C(1) << o % 32u;
                    }
@end@
@if overlap@
                    uint32_t top = down / @stride_y@u + 1u, left = across / @stride_x@u + 1u, oy, ox;
                    /* Windows that begin too early do not reach the spike. */
                    for (oy = top; oy-- > 0 && oy * @stride_y@u + @kernel_y@u > down;) {
                        for (ox = left; ox-- > 0 && ox * @stride_x@u + @kernel_x@u > across;) {
                            uint32_t o = window + oy * columns + ox;
                            if (oy < rows && ox < columns) {
                                target[o / 32u] |= UINT32_C(1) << o % 32u;
                            }
                        }
                    }
@end@
                }
            }
        }
    }
}
