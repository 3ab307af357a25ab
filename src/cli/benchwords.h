/* SPDX-License-Identifier: MIT */
/* benchwords - numbers as people read them: "12,345", "1.24 ms", "3.1 MiB". Three figures that
 * matter. */
#ifndef LN_BENCHWORDS_H
#define LN_BENCHWORDS_H

#include <stdio.h>

#include "base/base.h"

enum { LN_BENCHWORDS_BYTES = 48 };

/* "1,234,567" */
void ln_benchwords_count(uint64_t n, char text[LN_BENCHWORDS_BYTES]);
/* "1,234,567", "12.3", "0.50": a rate that need not be whole */
void ln_benchwords_rate(double n, char text[LN_BENCHWORDS_BYTES]);
/* "850 ns", "12.4 µs", "1.24 ms", "2.50 s" */
void ln_benchwords_time(double ns, char text[LN_BENCHWORDS_BYTES]);
/* "850 B", "12.4 KiB", "3.10 MiB" */
void ln_benchwords_bytes(double bytes, char text[LN_BENCHWORDS_BYTES]);

/*
 * Foreign text for people, by one writer for each place it may stand in: the length of the character
 * at `text` if it is UTF-8 and steers nothing, else 0: to be shown as a question mark.
 */
size_t ln_benchwords_character(const char *text);

/* For a terminal; in JSON, with the quotation marks; in HTML. */
void ln_benchwords_write_plain(const char *text, FILE *out);
void ln_benchwords_write_json(const char *text, FILE *out);
void ln_benchwords_write_html(const char *text, FILE *out);

#endif
