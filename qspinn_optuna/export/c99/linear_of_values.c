/* Add up products: sums[row][output] += weight[input][output] * x[row][input]. */
static void snn_@name@(const @source_type@ *source, uint32_t rows, uint32_t inputs, const uint32_t *weights,
    @sum_type@ *sums, uint32_t outputs)
{
    uint32_t i = 0, input, output;
    for (; rows != 0; rows--, sums += outputs) {
        uint32_t weight = 0;
        for (input = 0; input < inputs; input++, i++) {
            @type@ x = @value@;
            for (output = 0; output < outputs; output++, weight++) {
                @type@ product = @product@;
                sums[output] = (@sum_type@)(sums[output] + product);
            }
        }
    }
}
