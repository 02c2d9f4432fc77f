/* Samples, their classes, and hashes of their numbers, values, and every spike and membrane: what main.c compares with. */
#ifndef SNN_VECTORS_H
#define SNN_VECTORS_H

#include "model.h"

#define SNN_VECTORS @vectors@u
#define SNN_VECTORS_FIRST_SAMPLE @first_sample@
#define SNN_HASH_FACTOR @factor@u

static const uint8_t snn_vector_classes[SNN_VECTORS] = {@answers@};

static const uint32_t snn_vector_hashes[SNN_VECTORS] = {
    @hashes@
};

static const snn_input snn_vector_inputs[SNN_VECTORS][SNN_INPUTS] = {
    @inputs@
};

#endif
