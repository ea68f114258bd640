#include "shell/output.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "shell/interrupt.h"
#include "shell/session.h"
#include "src/base/base.h"

enum tq_status shell_output_flush(FILE *out) {
    if (fflush(out) == 0 && !ferror(out)) return TQ_OK;
    int error = errno;
    clearerr(out);
    return tq_fail(TQ_IO, "writing the results: %s", strerror(error));
}

static bool is_program(const char *target) { return target[0] == '|'; }

/* Standard output again. */
static enum tq_status close_target(struct shell_session *session) {
    struct shell_output *output = &session->output;
    char *target = output->target;
    enum tq_status status = TQ_OK;
    output->once = false;
    if (target == NULL) return TQ_OK;
    bool failed = !is_program(target) && ferror(session->out) != 0;
    errno = 0;
    if (is_program(target)) {
        shell_interrupt_wait(true); /* Ctrl-C is the program's */
        failed = pclose(session->out) == -1;
        shell_interrupt_wait(false);
        (void)signal(SIGPIPE, SIG_DFL);
    } else {
        failed |= fclose(session->out) != 0;
    }
    if (failed) status = tq_fail(TQ_IO, "%s: %s", target, errno == 0 ? "not all was written" : strerror(errno));
    free(target);
    output->target = NULL;
    session->out = stdout;
    return status;
}

enum tq_status shell_output_set(struct shell_session *session, const char *target, bool once) {
    TQ_TRY(close_target(session));
    if (target == NULL) return TQ_OK;
    if (is_program(target) && session->reach != SHELL_REACH_PROGRAMS) {
        return tq_fail(TQ_MISUSE, "programs are not allowed here: %s", target);
    }
    char *copy = strdup(target);
    if (copy == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    (void)fflush(stdout); /* what comes first is seen first */
    FILE *out = is_program(target) ? popen(target + 1, "we") : fopen(target, "we");
    if (out == NULL) {
        enum tq_status status = tq_fail(TQ_IO, "%s: %s", target, strerror(errno));
        free(copy);
        return status;
    }
    if (is_program(target)) (void)signal(SIGPIPE, SIG_IGN); /* one that ends early does not end the shell */
    session->out = out;
    session->output.target = copy;
    session->output.once = once;
    return TQ_OK;
}

enum tq_status shell_output_next(struct shell_session *session) {
    return session->output.once ? close_target(session) : TQ_OK;
}
