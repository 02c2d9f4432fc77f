/* Show `count` codes of 1 to 32 bits, which are stored less `lowest`, to a function. */
static void snn_show(const uint32_t *words, uint32_t count, uint32_t width, int32_t lowest,
                     void (*see)(void *context, int32_t value), void *context)
{
    uint32_t position;
    for (position = 0; position < count * width; position += width) {
        see(context, (int32_t)snn_read(words, position, width) + lowest);
    }
}
