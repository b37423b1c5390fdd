/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The first program of a guest: counts words of a text that it makes, with rare cases in the middle of the hot code, and
 * powers off. What is laid out badly here, an optimiser moves away.
 */
#include <stdio.h>
#include <sys/reboot.h>
#include <unistd.h>

static unsigned state = 1;
static unsigned long words, digits, controls, others, longest;

static unsigned next(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 24;
}

__attribute__((noinline)) static void rare(unsigned character, unsigned long length)
{
    others += character ^ length;
    if (length > longest)
        longest = length;
}

__attribute__((noinline)) static int step(unsigned character, int inside, unsigned long *length)
{
    if (character < 2) {
        controls++;
        rare(character, *length);
        if (*length > 400)
            rare(character * 3, *length / 2);
        *length = 0;
        return 0;
    }
    if (character == 251) {
        for (unsigned i = 0; i < 3; i++)
            rare(character + i, *length);
        return inside;
    }
    if (character >= 252) {
        others += character;
        if (character == 255)
            rare(character, *length);
        return inside;
    }
    if (character % 64 == 63) {
        if (inside)
            words++;
        if (*length > longest)
            longest = *length;
        *length = 0;
        return 0;
    }
    if (character % 32 == 7)
        digits++;
    (*length)++;
    return 1;
}

int main(void)
{
    unsigned long length = 0;
    int inside = 0;
    for (int i = 0; i < 2000000; i++)
        inside = step(next(), inside, &length);
    printf("%lu words, %lu digits, %lu controls, %lu others, longest %lu\n", words, digits, controls, others, longest);
    fflush(stdout);
    if (getpid() == 1)
        reboot(RB_POWER_OFF);
    return 0;
}
