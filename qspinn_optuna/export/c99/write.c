/* Put `value` into the `width` bits, 1 to 32, from a position on. */
static void snn_write(uint32_t *words, uint32_t position, uint32_t width, uint32_t value)
{
    uint32_t *word = words + position / 32u;
    uint32_t shift = position % 32u;
    uint32_t mask = UINT32_MAX >> (32u - width);
    *word = (*word & ~(mask << shift)) | value << shift;
    if (shift + width > 32u) {
        word = words + (position + width - 1u) / 32u;
        *word = (*word & ~(mask >> (32u - shift))) | value >> (32u - shift);
    }
}
