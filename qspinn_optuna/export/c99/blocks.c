/* Words that hold `count` codes. */
static uint32_t snn_words(uint32_t count, uint32_t width)
{
    return (count * width + 31u) / 32u;
}

/* The codes of `count` words, of 1 to 31 bits each: those that lie in a word, and before them the one that began in the
 * word before. What is left at the end becomes a code too, so that snn_pack can put it back. */
static void snn_unpack(const uint32_t *words, uint32_t count, uint32_t width, uint32_t *codes)
{
    uint32_t mask = UINT32_MAX >> (32u - width);
    uint32_t rest = 0, left = 0;
    for (; count != 0; count--) {
        uint32_t word = *words++;
        *codes++ = (rest | word << left) & mask;
        rest = word >> (width - left);
        for (left += 32u - width; left >= width; left -= width) {
            *codes++ = rest & mask;
            rest >>= width;
        }
    }
    if (left != 0) {
        *codes = rest;
    }
}

/* The inverse. */
static void snn_pack(uint32_t *words, uint32_t count, uint32_t width, const uint32_t *codes)
{
    uint32_t word = 0, used = 0;
    for (; count != 0; count--) {
        uint32_t code;
        for (; used + width < 32u; used += width) {
            word |= *codes++ << used;
        }
        code = *codes++;
        *words++ = word | code << used;
        word = code >> (32u - used);
        used -= 32u - width;
    }
}
