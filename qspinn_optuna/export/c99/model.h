/* @title@
 *
 * @summary@
 *
 * Integers alone: no floating point, no dynamic memory. Everything that changes is in a snn_state, so that several
 * networks, or several states of one, live side by side. A sample is classified by
 *
 *     static snn_state state;
 *     uint8_t answer = snn_classify(&state, sample, input);
 *
 * or step by step with snn_reset, SNN_STEPS times snn_step, and snn_answer.
 */
#ifndef SNN_MODEL_H
#define SNN_MODEL_H

#include <stdint.h>

/* Values of a sample, in the order of the training data. */
#define SNN_INPUTS @inputs@u
/* The values that a step looks at begin this many after those of the step before: 0 if all steps see the same. */
#define SNN_INPUT_STRIDE @stride@u
/* Steps of time for which a sample is shown. */
#define SNN_STEPS @steps@u
#define SNN_CLASSES @classes@u
/* Number of the first sample of the test set: the number keys the random draws. */
#define SNN_FIRST_SAMPLE @first_sample@

typedef @input_type@ snn_input;

@declarations@

#ifdef __cplusplus
extern "C" {
#endif

/* Make the state ready for a sample. Draws are keyed by its number: the same number gives the same draws. */
void snn_reset(snn_state *state, uint64_t sample);

/* One step of time. `input` points to what this step looks at. */
void snn_step(snn_state *state, const snn_input *input);

/* The class that the steps since the reset speak for. */
uint8_t snn_answer(const snn_state *state);

/* The class of a sample of SNN_INPUTS values: a reset, all steps, the answer. */
uint8_t snn_classify(snn_state *state, uint64_t sample, const snn_input *input);

/* Show every spike and membrane, as they are after a step, to a function: for tests. */
void snn_observe(const snn_state *state, void (*see)(void *context, int32_t value), void *context);

#ifdef __cplusplus
}
#endif

#endif
