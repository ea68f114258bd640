/* Options of commands, "--name" or "--name VALUE", anywhere behind the command's name; one dash does as well. */
#ifndef SHELL_ARGUMENTS_H
#define SHELL_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/tq.h"

struct shell_option {
    const char *name;   /* "--first-id" */
    const char **value; /* one of these two: where its value goes, or ... */
    bool *given;        /* ... that it was given */
};

/* Take the options out of words[1..*count-1]; the others move up. "--" ends them. TQ_MISUSE names an unknown one and
 * lists those there are. */
enum tq_status shell_options_read(const struct shell_option *options, size_t option_count, int *count, char **words);

/* `text` as a whole number, or as a number, in least..most; `what` is for the message. */
enum tq_status shell_read_integer(const char *what, const char *text, int64_t least, int64_t most, int64_t *number);
enum tq_status shell_read_real(const char *what, const char *text, double least, double most, double *number);

/* Of --device: cpu, gpu, auto. */
enum tq_status shell_check_device(const char *text);

#endif
