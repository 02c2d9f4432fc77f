/* Add up what the inputs that spike weigh: sums[row][output] += weight[input][output]. */
static void snn_@name@(const uint32_t *spikes, uint32_t rows, uint32_t inputs, const uint32_t *weights,
    @sum_type@ *sums, uint32_t outputs)
{
    uint32_t spike = 0, first, size, word, output;
    for (; rows != 0; rows--, sums += outputs) {
        for (first = 0; first < inputs; first += size, spike += size) {
            size = inputs - first < 32u ? inputs - first : 32u;
            for (word = snn_read(spikes, spike, size); word != 0; word &= word - 1u) {
                uint32_t weight = (first + snn_lowest_bit(word)) * outputs;
                for (output = 0; output < outputs; output++, weight++) {
                    @type@ product = @product@;
                    sums[output] = (@sum_type@)(sums[output] + product);
                }
            }
        }
    }
}
