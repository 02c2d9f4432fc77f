/* Key of the draws of one purpose at a step of a sample. `purpose` is mix(seed * SNN_GOLDEN + number of the purpose). */
static uint64_t snn_stream(uint64_t purpose, uint64_t sample, uint32_t step)
{
    return snn_mix(snn_mix(purpose + sample * SNN_GOLDEN) + step * SNN_GOLDEN);
}
