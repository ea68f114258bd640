/* .kernels and .gpu: what of this machine is used. */
#include <stdio.h>

#include "shell/commands.h"
#include "src/base/base.h"

enum tq_status shell_cmd_kernels(struct shell_session *session, int count, char **words) {
    static const char sets[] =
        "SELECT json_extract(s.value, '$.name') AS \"set\","
        " iif(json_extract(s.value, '$.built'), 'yes', 'no') AS built,"
        " iif(json_extract(s.value, '$.cpu'), 'yes', 'no') AS \"in this CPU\","
        " iif(json_extract(s.value, '$.allowed'), 'yes', 'no') AS allowed,"
        " (SELECT count(*) FROM json_each(?1, '$.operations') AS o WHERE o.value = json_extract(s.value, '$.name')) AS"
        " operations FROM json_each(?1, '$.sets') AS s";
    static const char operations[] = "SELECT key AS operation, value AS \"set\" FROM json_each(?1, '$.operations')";
    static const char speed[] =
        "SELECT json_extract(?1, '$.isa') AS \"in use\", round(json_extract(?1, '$.speed.scan') / 1e9, 1) AS"
        " \"scan GB/s\", round(json_extract(?1, '$.speed.read') / 1e9, 1) AS \"memory GB/s\","
        " CAST(round(100.0 * json_extract(?1, '$.speed.scan') / json_extract(?1, '$.speed.read')) AS INTEGER) AS"
        " \"percent of it\"";
    char *kernels = NULL;
    (void)count;
    (void)words;
    TQ_TRY(shell_session_value(session, "SELECT tq_kernels('measure')", NULL, &kernels));
    enum tq_status status = shell_session_show(session, sets, kernels);
    if (status == TQ_OK) status = shell_session_show(session, operations, kernels);
    if (status == TQ_OK) status = shell_session_show(session, speed, kernels);
    sqlite3_free(kernels);
    return status;
}

enum tq_status shell_cmd_gpu(struct shell_session *session, int count, char **words) {
    (void)count;
    (void)words;
    (void)fputs("This build has no CUDA plugin: every search runs on the CPU.\n", session->out);
    return TQ_OK;
}
