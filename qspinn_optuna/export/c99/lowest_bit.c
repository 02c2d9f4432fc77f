/* Number of the lowest bit that is set, of a word that is not 0. */
static uint32_t snn_lowest_bit(uint32_t word)
{
#if defined(__GNUC__)
    /* `int` has 32 bits or fewer, `long` at least 32. */
    return (uint32_t)__builtin_ctzl(word);
#else
    uint32_t bit = 0;
    for (; (word & 1u) == 0; word >>= 1) {
        bit++;
    }
    return bit;
#endif
}
