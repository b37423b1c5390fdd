/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layouts that the specification fixes, on a machine with pointers of 64 bits. */
#include "arrow_abi.h"
#include "ttlogarrow.h"

#include <stddef.h>

_Static_assert(sizeof(struct ArrowSchema) == 72, "ArrowSchema");
_Static_assert(offsetof(struct ArrowSchema, release) == 56, "ArrowSchema.release");
_Static_assert(sizeof(struct ArrowArray) == 80, "ArrowArray");
_Static_assert(offsetof(struct ArrowArray, release) == 64, "ArrowArray.release");
_Static_assert(sizeof(struct ArrowArrayStream) == 40, "ArrowArrayStream");
_Static_assert(sizeof(struct ttla_request) == 56, "ttla_request");
_Static_assert(offsetof(struct ttla_request, symbols) == 48, "ttla_request before symbols");
_Static_assert(sizeof(struct ttla_symbol_files) == 48, "ttla_symbol_files");
_Static_assert(sizeof(struct ttla_error) == 24, "ttla_error");

/* Swift's runtime names hypotf, which glibc has under the version GLIBC_2.35. Nothing here calls it. A definition of our
 * own, which only this library sees, keeps the library loadable on glibc 2.34 (manylinux_2_34). */
__attribute__((visibility("hidden"))) float hypotf(float x, float y);

float hypotf(float x, float y) {
    return (float)__builtin_sqrt((double)x * x + (double)y * y);
}
