/* A spike speaks for every class, by the weight of its neuron: a code less the smallest, which is the same for all. */
static void snn_count(snn_state *state, uint32_t neuron)
{
    uint32_t label;
    for (label = 0; label < SNN_CLASSES; label++) {
        uint32_t position = (neuron * SNN_CLASSES + label) * SNN_CLASS_WEIGHT_BITS;
        state->totals[label] += (snn_total)snn_read(snn_class_weights, position, SNN_CLASS_WEIGHT_BITS);
    }
}

/* The class with the largest sum, the first of equals. */
uint8_t snn_answer(const snn_state *state)
{
    uint32_t label, answer = 0;
    for (label = 1; label < SNN_CLASSES; label++) {
        if (state->totals[label] > state->totals[answer]) {
            answer = label;
        }
    }
    return (uint8_t)answer;
}
