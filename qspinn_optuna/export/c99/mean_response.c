/* A type that holds spikes times neurons. */
typedef @product_type@ snn_product;

/* A spike counts for the class of its neuron. */
static void snn_count(snn_state *state, uint32_t neuron)
{
    state->totals[snn_read(snn_labels, neuron * SNN_LABEL_BITS, SNN_LABEL_BITS)]++;
}

/* The class whose neurons spike most on average, the first of equals: a / b > c / d as a * d > c * b. */
uint8_t snn_answer(const snn_state *state)
{
    snn_product best_total = 0, best_neurons = 1;
    uint32_t neurons[SNN_CLASSES], label, j, answer = 0;
    for (label = 0; label < SNN_CLASSES; label++) {
        neurons[label] = 0;
    }
    for (j = 0; j < SNN_NEURONS; j++) {
        neurons[snn_read(snn_labels, j * SNN_LABEL_BITS, SNN_LABEL_BITS)]++;
    }
    for (label = 0; label < SNN_CLASSES; label++) {
        snn_product total = state->totals[label];
        if (total * best_neurons > best_total * neurons[label]) {
            best_total = total;
            best_neurons = neurons[label];
            answer = label;
        }
    }
    return (uint8_t)answer;
}
