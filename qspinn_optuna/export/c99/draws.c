/* ---- Draws by counter: splitmix64. Draw i of a stream is mix(key + i * SNN_GOLDEN), 64 bits. ---- */

#define SNN_GOLDEN UINT64_C(0x9E3779B97F4A7C15)

static uint64_t snn_mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}
