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

/* A line each, of tq_gpu()'s JSON, ?1. */
static const char gpu_lines[] =
    "WITH g(x, d) AS (SELECT ?1, json_extract(?1, '$.device')), lines(what, value, about) AS ("
    "SELECT 'device', json_extract(d, '$.name'), 'number ' || json_extract(d, '$.number') || ', compute capability ' ||"
    " json_extract(d, '$.capability') || ', ' || json_extract(d, '$.multiprocessors') || ' multiprocessors' FROM g"
    " UNION ALL SELECT 'driver', json_extract(d, '$.driver'), 'the CUDA it has; the plugin was built with ' ||"
    " json_extract(d, '$.runtime') FROM g"
    " UNION ALL SELECT 'plugin', json_extract(x, '$.plugin'), '' FROM g"
    " UNION ALL SELECT 'memory', json_extract(d, '$.memory'), 'of the device' FROM g"
    " UNION ALL SELECT 'free', json_extract(d, '$.free'), 'of that, when it was opened' FROM g"
    " UNION ALL SELECT 'limit', json_extract(x, '$.limit'), 'that may be taken here; TQ_GPU_MEMORY sets it' FROM g"
    " UNION ALL SELECT 'resident', json_extract(x, '$.resident'), 'taken, for ' || json_extract(x, '$.rows') ||"
    " ' rows in ' || json_extract(x, '$.segments') || iif(json_extract(x, '$.segments') = 1, ' segment', ' segments')"
    " FROM g"
    " UNION ALL SELECT 'searches', json_extract(x, '$.searches'), 'queries that it searched for' FROM g"
    " UNION ALL SELECT 'fallbacks', json_extract(x, '$.fallbacks'), 'queries that asked for it, and the CPU answered'"
    " FROM g"
    " UNION ALL SELECT 'last of them', json_extract(x, '$.fallback'), 'why the CPU answered' FROM g)"
    "SELECT what, CASE WHEN what NOT IN ('memory', 'free', 'limit', 'resident') THEN value WHEN value < 1073741824"
    " THEN printf('%.1f MiB', value / 1048576.0) ELSE printf('%.1f GiB', value / 1073741824.0) END AS value, about"
    " FROM lines WHERE value IS NOT NULL";

enum tq_status shell_cmd_gpu(struct shell_session *session, int count, char **words) {
    static const char refusal[] =
        "SELECT 'Every search runs on the CPU: ' || coalesce(json_extract(?1, '$.why'), 'no GPU is used') ||"
        " CASE json_extract(?1, '$.fallbacks') WHEN 0 THEN '.' WHEN 1 THEN '; 1 query asked for a GPU.'"
        " ELSE '; ' || json_extract(?1, '$.fallbacks') || ' queries asked for a GPU.' END"
        " WHERE json_extract(?1, '$.usable') = 0";
    char *gpu = NULL, *text = NULL;
    (void)count;
    (void)words;
    TQ_TRY(shell_session_value(session, "SELECT tq_gpu()", NULL, &gpu));
    enum tq_status status = shell_session_value(session, refusal, gpu, &text);
    if (status == TQ_OK && text != NULL) (void)fprintf(session->out, "%s\n", text);
    if (status == TQ_OK && text == NULL) status = shell_session_show(session, gpu_lines, gpu);
    sqlite3_free(gpu);
    sqlite3_free(text);
    return status;
}
