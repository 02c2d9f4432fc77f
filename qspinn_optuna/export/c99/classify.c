/* Classifies: for each sample of a file, the class, a byte. Arguments: the file, the number of its first sample, how many
 * samples it holds. */

#include "model.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    static snn_input input[SNN_INPUTS];
    static snn_state state;
    FILE *file = argc == 4 ? fopen(argv[1], "rb") : NULL;
    uint64_t sample, end;
    if (file == NULL) {
        return 2;
    }
    sample = strtoull(argv[2], NULL, 10);
    for (end = sample + strtoull(argv[3], NULL, 10); sample != end; sample++) {
        if (fread(input, sizeof input[0], SNN_INPUTS, file) != SNN_INPUTS) {
            return 3;
        }
        putchar(snn_classify(&state, sample, input));
    }
    return fclose(file) == 0 && fflush(stdout) == 0 ? 0 : 4;
}
