/* Neurons from number `first` on:
 *
@comment@
 *
 * Membranes have @bits@ bits each, less the smallest code. */
static void snn_@name@(const @source_type@ *source@if shared@, uint32_t shift, uint32_t shared@end@,
    uint32_t first, uint32_t count, uint32_t *membranes@if fires@, uint32_t *spikes@end@@if draws@, uint64_t key@end@@parameters@)
{
@if shared@
    /* Sums share words, and have half of their range added. */
    uint32_t mask = UINT32_MAX >> (32u - shared);
    @type@ zero = (@type@)(mask / 2u + 1u);
@end@
    uint32_t i = first;
@if turns@
    /* A word of membranes turns while they are taken from its lower end and put in at its upper. */
    uint32_t *word = membranes + first * @bits@u / 32u;
    uint32_t turned = first * @bits@u % 32u;
    uint32_t codes = turned != 0 ? *word >> turned | *word << (32u - turned) : *word;
@end@
@if fires@
    /* Spikes come in at the upper end of a word: behind those of neurons before the first. */
    uint32_t fired = first % 32u != 0 ? spikes[first / 32u] << (32u - first % 32u) : 0;
@end@
    for (; count != 0; count--, i++) {
        @type@ v, x = @value@, u;
@if fires@
        uint32_t spike;
@end@
@if levels@
        @compared_type@ threshold = @threshold@;
@end@
@if turns@
        if (turned == 32u) {
            *word++ = codes;
            codes = *word;
            turned = 0;
        }
        v = (@type@)(codes & @mask@u)@raised@;
@end@
@if !turns@
        v = @membrane@;
@end@
        u = @charged@;
@if fires@
        spike = @fired@;
        fired = fired >> 1 | spike << 31;
        if (i % 32u == 31u) {
            spikes[i / 32u] = fired;
        }
@end@
@if subtracts@
        u -= spike != 0 ? (@type@)threshold : 0;
@end@
        @rounding@
@if resets@
        u = spike != 0 ? @reset@ : u;
@end@
@if turns@
        codes = codes >> @bits@ | (uint32_t)(u@lowered@) << @rest@;
        turned += @bits@u;
@end@
@if !turns@
        snn_write(membranes, i * @bits@u, @bits@u, (uint32_t)(u@lowered@));
@end@
    }
@if turns@
    *word = turned != 32u ? codes << turned | codes >> (32u - turned) : codes;
@end@
@if fires@
    if (i % 32u != 0) {
        spikes[i / 32u] = fired >> (32u - i % 32u);
    }
@end@
}
