typedef struct {
    /* Number of the sample and of the next step. They key the draws. */
    uint64_t sample;
    uint32_t step;
@members@
} snn_state;
