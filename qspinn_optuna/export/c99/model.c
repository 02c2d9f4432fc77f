/* @title@
 *
 * Written by a program from model.json: change that and export again. */

#include "model.h"

/* C99 leaves the right shift of negative numbers to the compiler. Here it must be floor(x / 2**n). */
typedef char snn_right_shift_must_be_arithmetic[(-1 >> 1) == -1 && (INT64_C(-3) >> 1) == -2 ? 1 : -1];

@pieces@
@network@
uint8_t snn_classify(snn_state *state, uint64_t sample, const snn_input *input)
{
#ifdef SNN_RUN
    snn_reset(state, sample);
    SNN_RUN(state, input);
#else
    uint32_t t;
    snn_reset(state, sample);
    for (t = 0; t < SNN_STEPS; t++) {
        snn_step(state, input + t * SNN_INPUT_STRIDE);
    }
#endif
    return snn_answer(state);
}
