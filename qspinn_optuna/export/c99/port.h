/* What the test needs of the machine that it runs on: host.c or cortex_m.c. */
#ifndef SNN_PORT_H
#define SNN_PORT_H

#include <stdint.h>

/* Write a text. */
void snn_port_write(const char *text);

/* Begin to count time, and give what was counted: ticks of the clock of the machine, 0 if it cannot count so long. */
void snn_port_start(void);
uint32_t snn_port_ticks(void);

#endif
