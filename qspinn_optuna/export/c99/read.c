/* `width` bits, 1 to 32, from a position on. */
static uint32_t snn_read(const uint32_t *words, uint32_t position, uint32_t width)
{
    uint32_t shift = position % 32u;
    uint32_t value = words[position / 32u] >> shift;
    if (shift + width > 32u) {
        value |= words[(position + width - 1u) / 32u] << (32u - shift);
    }
    return value & (UINT32_MAX >> (32u - width));
}
