/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int ttd_fail(ttlog_error *error, int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    error->code = code;
    return -1;
}

int ttd_fail_errno(ttlog_error *error, const char *format, ...) {
    int code = errno;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof(error->message))
        snprintf(error->message + length, sizeof(error->message) - (size_t)length, ": %s", strerror(code));
    error->code = code;
    return -1;
}
