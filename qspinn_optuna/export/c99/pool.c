/* The @what@ of each window of @kernel_y@ x @kernel_x@ values, every @stride_y@ down and @stride_x@ across. */
static void snn_@name@(const @source_type@ *source, uint32_t channels, uint32_t height, uint32_t width,
    @target_type@ *target, uint32_t rows, uint32_t columns)
{
    uint32_t o = 0, first = 0, oy, ox, ky, kx;
    for (; channels != 0; channels--, first += height * width) {
        for (oy = 0; oy < rows; oy++) {
            for (ox = 0; ox < columns; ox++, o++) {
                @type@ result = @initial@;
                for (ky = 0; ky < @kernel_y@u; ky++) {
                    /* What is before the border has wrapped around, to more than there are rows. */
                    uint32_t y = oy * @stride_y@u + ky - @padding_y@u;
                    for (kx = 0; y < height && kx < @kernel_x@u; kx++) {
                        uint32_t x = ox * @stride_x@u + kx - @padding_x@u;
                        if (x < width) {
                            uint32_t i = first + y * width + x;
                            @type@ value = @value@;
                            @reduce@
                        }
                    }
                }
                @store@
            }
        }
    }
}
