/* The test on a Cortex-M: its start, semihosting for text and exit, SysTick for time. */

#include "port.h"

#include <stdint.h>

int main(void);

/* Of the linker script. */
extern uint32_t snn_stack_top[], snn_data_load[], snn_data_start[], snn_data_end[], snn_bss_start[], snn_bss_end[];

/* Operations of semihosting (Arm, "Semihosting for AArch32 and AArch64"). */
#define SNN_SYS_WRITE0 0x04u
#define SNN_SYS_EXIT 0x18u
#define SNN_STOPPED_EXIT 0x20026u
#define SNN_STOPPED_ERROR 0x20023u

static void snn_semihost(uint32_t operation, uint32_t argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register uint32_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void snn_port_write(const char *text)
{
    snn_semihost(SNN_SYS_WRITE0, (uint32_t)text);
}

/* SysTick counts 24 bits down, at the processor's clock. */
#define SNN_SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define SNN_SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define SNN_SYSTICK_CURRENT (*(volatile uint32_t *)0xE000E018u)
#define SNN_SYSTICK_ON 5u
#define SNN_SYSTICK_WRAPPED 0x10000u
#define SNN_SYSTICK_MOST 0xFFFFFFu

void snn_port_start(void)
{
    SNN_SYSTICK_RELOAD = SNN_SYSTICK_MOST;
    SNN_SYSTICK_CURRENT = 0;
    SNN_SYSTICK_CONTROL = SNN_SYSTICK_ON;
}

uint32_t snn_port_ticks(void)
{
    uint32_t current = SNN_SYSTICK_CURRENT;
    /* Longer than it can count is not counted. */
    return (SNN_SYSTICK_CONTROL & SNN_SYSTICK_WRAPPED) != 0 ? 0 : SNN_SYSTICK_MOST - current;
}

void snn_start(void);
void snn_fault(void);

void snn_start(void)
{
    uint32_t *to = snn_data_start;
    const uint32_t *from = snn_data_load;
    while (to < snn_data_end) {
        *to++ = *from++;
    }
    for (to = snn_bss_start; to < snn_bss_end; to++) {
        *to = 0;
    }
    snn_semihost(SNN_SYS_EXIT, main() == 0 ? SNN_STOPPED_EXIT : SNN_STOPPED_ERROR);
    for (;;) {
    }
}

void snn_fault(void)
{
    snn_port_write("FAIL fault\n");
    snn_semihost(SNN_SYS_EXIT, SNN_STOPPED_ERROR);
    for (;;) {
    }
}

/* Initial stack, reset, NMI, hard fault, and the faults of larger cores. */
typedef union {
    uint32_t *stack;
    void (*handler)(void);
} snn_vector;

__attribute__((section(".vectors"), used)) static const snn_vector snn_vectors[16] = {
    {.stack = snn_stack_top}, {.handler = snn_start}, {.handler = snn_fault}, {.handler = snn_fault},
    {.handler = snn_fault}, {.handler = snn_fault}, {.handler = snn_fault},
};
