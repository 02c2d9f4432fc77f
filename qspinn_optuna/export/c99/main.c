/* The test: every sample of vectors.h must have its class, and its hash of its number, its values, and every spike and
 * membrane at every step. */

#include "model.h"
#include "port.h"
#include "vectors.h"

/* hash <- hash * SNN_HASH_FACTOR + value: odd, the factor loses no difference of a single value. */
static void snn_hash(void *context, int32_t value)
{
    uint32_t *hash = context;
    *hash = *hash * SNN_HASH_FACTOR + (uint32_t)value;
}

/* The hash of a sample before its first step. */
static uint32_t snn_hash_of_sample(uint64_t sample, const snn_input *input)
{
    uint32_t k, hash = (uint32_t)(sample >> 32) * SNN_HASH_FACTOR + (uint32_t)(sample & UINT32_MAX);
    for (k = 0; k < SNN_INPUTS; k++) {
        snn_hash(&hash, (int32_t)input[k]);
    }
    return hash;
}

static void snn_write_hex(uint64_t number)
{
    char text[17];
    uint32_t k;
    for (k = 0; k < 16u; k++) {
        text[15u - k] = "0123456789abcdef"[number & 15u];
        number >>= 4;
    }
    text[16] = '\0';
    /* Leading zeros say nothing. */
    for (k = 0; k < 15u && text[k] == '0'; k++) {
    }
    snn_port_write(text + k);
}

static void snn_write_decimal(uint32_t number)
{
    char text[11];
    uint32_t k = 10;
    text[k] = '\0';
    do {
        text[--k] = (char)('0' + (char)(number % 10u));
        number /= 10u;
    } while (number != 0);
    snn_port_write(text + k);
}

static void snn_write_field(const char *name, uint32_t number)
{
    snn_port_write(name);
    snn_write_decimal(number);
}

/* 1 if the sample has its class and its hash, else 0. */
static uint32_t snn_check(snn_state *state, uint32_t k)
{
    uint64_t sample = SNN_VECTORS_FIRST_SAMPLE + k;
    const snn_input *input = snn_vector_inputs[k];
    uint32_t t, ticks, hash = snn_hash_of_sample(sample, input);
    uint8_t answer, again;
    snn_port_start();
    answer = snn_classify(state, sample, input);
    ticks = snn_port_ticks();
    snn_reset(state, sample);
    for (t = 0; t < SNN_STEPS; t++) {
        snn_step(state, input + t * SNN_INPUT_STRIDE);
        snn_observe(state, snn_hash, &hash);
    }
    again = snn_answer(state);
    snn_write_field("vector ", k);
    snn_write_field(" class ", answer);
    snn_write_field(" expected ", snn_vector_classes[k]);
    snn_port_write(" hash ");
    snn_write_hex(hash);
    snn_port_write(" expected ");
    snn_write_hex(snn_vector_hashes[k]);
    snn_write_field(" ticks ", ticks);
    if (answer == snn_vector_classes[k] && again == answer && hash == snn_vector_hashes[k]) {
        snn_port_write(" OK\n");
        return 1;
    }
    snn_port_write(" FAIL\n");
    return 0;
}

int main(void)
{
    static snn_state state;
    uint32_t k, right = 0;
    for (k = 0; k < SNN_VECTORS; k++) {
        right += snn_check(&state, k);
    }
    snn_port_write(right == SNN_VECTORS ? "OK " : "FAIL ");
    snn_write_decimal(right);
    snn_write_field(" of ", SNN_VECTORS);
    snn_port_write(" vectors\n");
    return right == SNN_VECTORS ? 0 : 1;
}
