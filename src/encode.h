/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Text as other formats want it. Some of it comes from others: bytes that are
 * no UTF-8, and characters that XML cannot hold, become U+FFFD.
 */
#ifndef VHU_ENCODE_H
#define VHU_ENCODE_H

#include <stdio.h>

#include "base.h"

/* The character at *text, which moves on; 0 at the end. */
uint32_t encode_next_char(const char **text);

/* A JSON or YAML string in double quotes; NULL: null. */
void encode_json_text(FILE *out, const char *text);

/* A JSON number; null for what is none. */
void encode_json_number(FILE *out, double value);

/* A row of a hexdump: up to ENCODE_ROW bytes, each after a blank, as wide as a whole row. */
enum { ENCODE_ROW = 16 };
void encode_hex(FILE *out, const uint8_t *bytes, size_t n);

/* Bytes as characters, what cannot be printed as dots. */
void encode_ascii(FILE *out, const uint8_t *bytes, size_t n);

/* Inside of an XML element, or of an attribute in double quotes. */
void encode_xml(FILE *out, const char *text);

/* As it stands, without controls, each line after indent spaces; ends in a newline. */
void encode_lines(FILE *out, const char *text, int indent);

/* The same in one line: newlines become spaces; every character of escape gets a backslash. */
void encode_line(FILE *out, const char *text, const char *escape);

#endif
