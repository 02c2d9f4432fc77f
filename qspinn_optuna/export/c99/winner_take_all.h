#define SNN_NEURONS @neurons@u
#define SNN_BLOCKS @blocks@u
#define SNN_LEVELS @levels@u

/* A type that holds @total@. */
typedef @total_type@ snn_total;

typedef struct {
    /* Number of the sample and of the next step. They key the draws. */
    uint64_t sample;
    uint32_t step;
    /* The neuron that spiked in the last step; SNN_NEURONS if none did. */
    uint32_t winner;
    /* Membranes, @membrane@: @membrane_bits@ bits each, less the smallest code. */
    uint32_t membranes[@membrane_words@];
@held@
    /* Sums of the weights of the inputs that spike in a step. Neurons are in blocks of 32; word l of a block holds
     * bit l of its 32 sums. */
    uint32_t sums[SNN_BLOCKS][SNN_LEVELS];
    /* What the spikes say for each class. */
    snn_total totals[SNN_CLASSES];
} snn_state;
