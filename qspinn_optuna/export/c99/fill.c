/* The same code, of 1 to 32 bits, `count` times. */
static void snn_fill(uint32_t *words, uint32_t count, uint32_t width, uint32_t code)
{
    uint32_t position;
    for (position = 0; position < count * width; position += width) {
        snn_write(words, position, width, code);
    }
}
