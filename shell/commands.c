/* The table of commands: what .help shows, what completion offers, what runs. */
#include "shell/commands.h"

#include "src/base/base.h"

const struct shell_command shell_commands[] = {
    {".backup", "[DB] FILE", "copy a database and its folder, while others read and write", 1, 2, shell_cmd_backup,
     .topic = SHELL_ABOUT_UPKEEP, .reach = SHELL_REACH_FILES,
     .details = "FILE and the folder FILE-tq are made; nothing is overwritten. DB is main, or the name of an ATTACHed\n"
                "database.\n"},
    {".bail", "on|off", "stop at the first failure", 1, 1, shell_cmd_bail, .topic = SHELL_ABOUT_SHELL,
     .details =
         "Scripts, that is; they go on otherwise, and end with status 1. SQL given as arguments always stops.\n"},
    {".bench", "TABLE [SECONDS] [--column C] [--k K] [--seed N] [--device cpu|gpu|auto]",
     "how fast searches of a table are, and what they read", 1, 10, shell_cmd_bench, .topic = SHELL_ABOUT_VECTORS,
     .details = "4 seconds in all unless it is said; queries are rows of the table, asked on one thread. Below the\n"
                "table stands what the numbers are.\n"},
    {".cd", "DIR", "change the working folder", 1, 1, shell_cmd_cd, .topic = SHELL_ABOUT_SHELL,
     .reach = SHELL_REACH_PROGRAMS},
    {".changes", "on|off", "say how many rows each statement changed", 1, 1, shell_cmd_changes,
     .topic = SHELL_ABOUT_OUTPUT},
    {".check", "[TABLE] [--full]", "whether tq tables and their folder hold what each says of the other", 0, 2,
     shell_cmd_check, .topic = SHELL_ABOUT_UPKEEP,
     .details = "Without TABLE all tq tables of all databases. --full reads every page, too. A failure if there is a\n"
                "finding; tq_check() is the same in SQL.\n"},
    {".compact", "[DB] [--quick]", "give the space of deleted vectors back to the file system", 0, 2, shell_cmd_compact,
     .topic = SHELL_ABOUT_UPKEEP,
     .details = "Tables are optimized first, so that dead rows are merged away; --quick leaves that out. No other\n"
                "connection may have the folder open.\n"},
    {".databases", "", "names and files of the databases", 0, 0, shell_cmd_databases, .topic = SHELL_ABOUT_DATABASE},
    {".dump", "[TABLE...] [--data-only] [--preserve-rowids]", "the database as SQL", 0, 32, shell_cmd_dump,
     .topic = SHELL_ABOUT_DATA,
     .details =
         "Fed to tqshell, or to sqlite3 with the extension, it makes the same tables with the same rows. Vectors\n"
         "are blobs with all bits; of tables with rows=none, which do not keep them, what their codes stand for.\n"
         "TABLE may have the signs of LIKE, or of GLOB.\n"
         "  --data-only        no CREATE statements\n"
         "  --preserve-rowids  ordinary tables keep theirs; tq tables always do\n"},
    {".echo", "on|off", "print statements and commands before they run", 1, 1, shell_cmd_echo,
     .topic = SHELL_ABOUT_OUTPUT},
    {".eqp", "on|off", "show the query plan of each statement", 1, 1, shell_cmd_eqp, .topic = SHELL_ABOUT_OUTPUT},
    {".exit", "[STATUS]", "leave the shell", 0, 1, shell_cmd_quit, .topic = SHELL_ABOUT_SHELL,
     .details = "Without STATUS, and in a script that .read runs, it ends that script; with it, the shell.\n"},
    {".explain", "[SELECT]", "what the last query of a tq table, or this one, read, and which path it took", 0, 1,
     shell_cmd_explain, .topic = SHELL_ABOUT_VECTORS,
     .details =
         "SELECT is one statement, quoted as one word; it is run, and its rows are dropped. tq_explain() is the same\n"
         "in SQL.\n"},
    {".export", "TABLE|QUERY FILE [--OPTION ...]", "the rows of a table or of a query into a file", 2, 62,
     shell_cmd_export, .topic = SHELL_ABOUT_DATA, .reach = SHELL_REACH_FILES, .details = shell_export_details},
    {".gpu", "", "whether a GPU is used, and what for", 0, 0, shell_cmd_gpu, .topic = SHELL_ABOUT_VECTORS,
     .details =
         "Searches ask for one by --device gpu, device=gpu in tq_query(), or SELECT tq_config('device', 'gpu').\n"
         "TQ_GPU=off in the environment leaves it alone. tq_gpu() is the same in SQL.\n"},
    {".headers", "on|off", "names of columns above the rows", 1, 1, shell_cmd_headers, .topic = SHELL_ABOUT_OUTPUT,
     .details = "Without it: in table, box, column, markdown and line.\n"},
    {".help", "[COMMAND] [--all]", "this list, or all about a command, or commands that have to do with a word", 0, 1,
     shell_cmd_help, .topic = SHELL_ABOUT_SHELL},
    {".import", "FILE TABLE [--OPTION ...]", "the rows of a file into a table, which is made if there is none", 2, 62,
     shell_cmd_import, .topic = SHELL_ABOUT_DATA, .reach = SHELL_REACH_FILES, .details = shell_import_details},
    {".indexes", "[TABLE]", "names of indexes", 0, 1, shell_cmd_indexes, .topic = SHELL_ABOUT_DATABASE},
    {".info", "TABLE [--quick]", "dimensions, metric, counts, bytes and scales of a tq table", 1, 2, shell_cmd_info,
     .topic = SHELL_ABOUT_VECTORS,
     .details = "All codes are read for norms and scales; --quick leaves them out. tq_info() is the same in SQL.\n"},
    {".kernels", "", "instruction sets, the one in use, and how fast it reads", 0, 0, shell_cmd_kernels,
     .topic = SHELL_ABOUT_VECTORS,
     .details = "TQ_ISA=avx2 (or another one of the list) in the environment makes it use no more than that.\n"},
    {".limit", "[NAME] [VALUE]", "SQLite's limits", 0, 2, shell_cmd_limit, .topic = SHELL_ABOUT_DATABASE},
    {".load", "FILE [ENTRY]", "load an extension of SQLite", 1, 2, shell_cmd_load, .topic = SHELL_ABOUT_DATABASE,
     .reach = SHELL_REACH_PROGRAMS},
    {".mode", "[table|box|column|markdown|line|list|tabs|csv|json|jsonl|quote|insert|html] [TABLE] [--wrap N]",
     "how rows are shown; without MODE, which it is", 0, 4, shell_cmd_mode, .topic = SHELL_ABOUT_OUTPUT,
     .details = "For people\n"
                "  table     cells in lines of ASCII; the mode without .mode\n"
                "  box       cells in lines of Unicode\n"
                "  column    names underlined\n"
                "  markdown  a table of Markdown\n"
                "  line      a line for each value\n"
                "For programs\n"
                "  list      values with .separator between them, | by itself\n"
                "  tabs      values with tabs between them\n"
                "  csv       as RFC 4180 has it, but for the ends of lines\n"
                "  json      an array of objects\n"
                "  jsonl     an object on each line\n"
                "  quote     literals of SQL\n"
                "  insert    INSERT INTO TABLE\n"
                "  html      rows of an HTML table\n"
                "--wrap N: cells of table, box, column and markdown that are wider than N take more lines.\n"},
    {".nullvalue", "TEXT", "what stands for NULL", 1, 1, shell_cmd_nullvalue, .topic = SHELL_ABOUT_OUTPUT,
     .details = "Without it: NULL in modes for people, nothing in list, tabs, csv and html.\n"},
    {".once", "[FILE]", "the results of the next statement or command go to a file", 0, 63, shell_cmd_once,
     .topic = SHELL_ABOUT_OUTPUT, .details = "\"|program\" takes them on its standard input.\n"},
    {".open", "[FILE] [--readonly] [--new]", "close the database and open another one; without FILE, one in memory", 0,
     3, shell_cmd_open, .topic = SHELL_ABOUT_DATABASE, .reach = SHELL_REACH_FILES,
     .details = "  --readonly  never write to it\n"
                "  --new       delete the file first\n"},
    {".output", "[FILE]", "results go to a file; without FILE, to standard output again", 0, 63, shell_cmd_output,
     .topic = SHELL_ABOUT_OUTPUT, .details = "\"|program\" takes them on its standard input.\n"},
    {".pager", "[on|off|PROGRAM]", "what shows results that are longer than the screen", 0, 1, shell_cmd_pager,
     .topic = SHELL_ABOUT_OUTPUT, .details = "At a terminal only. on: $PAGER, or less.\n"},
    {".param", "set NAME VALUE | unset NAME | list | clear | init", "parameters of statements", 1, 3, shell_cmd_param,
     .topic = SHELL_ABOUT_SHELL,
     .details = "NAME begins as in the statement, with : @ $ or ?. VALUE is an expression, quoted if it has blanks:\n"
                "  .param set :q \"(SELECT embedding FROM words WHERE rowid = 5)\"\n"},
    {".parameter", "set NAME VALUE | unset NAME | list | clear | init", "the same", 1, 3, shell_cmd_param,
     .topic = SHELL_ABOUT_SHELL},
    {".print", "[TEXT...]", "print words", 0, 63, shell_cmd_print, .topic = SHELL_ABOUT_OUTPUT},
    {".prompt", "[MAIN] [CONTINUE]", "what is printed before a line, and before the next lines of a statement", 0, 2,
     shell_cmd_prompt, .topic = SHELL_ABOUT_SHELL},
    {".quit", "", "leave the shell", 0, 0, shell_cmd_quit, .topic = SHELL_ABOUT_SHELL,
     .details = "In a script that .read runs, it ends that script.\n"},
    {".read", "FILE", "run SQL and commands from a file", 1, 1, shell_cmd_read, .topic = SHELL_ABOUT_SHELL,
     .reach = SHELL_REACH_FILES, .details = "\"|program\": those that it prints.\n"},
    {".recall",
     "TABLE [N] [--k K] [--confidence Z,Z] [--queries TABLE] [--column C] [--seed N] [--device cpu|gpu|auto]",
     "how much of what exact search finds the others find, and how fast", 1, 14, shell_cmd_recall,
     .topic = SHELL_ABOUT_VECTORS,
     .details =
         "N random rows, 1000 unless it is said, are the queries, each left out of its own answer. If there is a\n"
         "table TABLE_queries with columns embedding and neighbors (.import makes it of an ann-benchmarks\n"
         "file), its queries are asked and judged by those neighbours; --queries names another, or none.\n"
         "A row found counts if its exact score reaches that of the true K-th.\n"},
    {".repair", "TABLE adopt-folder|adopt-empty|salvage", "keep what there is of a damaged table", 2, 2,
     shell_cmd_repair, .topic = SHELL_ABOUT_UPKEEP,
     .details = "adopt-folder  a folder of another time that has all that is needed: loses nothing, or refuses\n"
                "adopt-empty   the folder is gone for good: vectors in it are lost, rows stay\n"
                "salvage       values are damaged or missing: every vector that verifies is kept\n"},
    {".schema", "[TABLE]", "the CREATE statements", 0, 1, shell_cmd_schema, .topic = SHELL_ABOUT_DATABASE,
     .details = "TABLE may have the signs of LIKE, or of GLOB, and a schema's name before it.\n"},
    {".search", "TABLE WHAT [K] [--column C] [--confidence Z] [--where COND] [--device cpu|gpu|auto] [--exact]",
     "the nearest rows to WHAT", 2, 12, shell_cmd_search, .topic = SHELL_ABOUT_VECTORS,
     .details =
         "WHAT is a row's key (or rowid), which is left out; a vector, '[0.1, 0.2]'; or a file of vectors (.npy,\n"
         ".fvecs, numbers as text and the like), of which the first 10 are asked. K is 10 unless it is said.\n"},
    {".separator", "COLUMN [ROW]", "what stands between values, and behind rows, in list, tabs, csv and quote", 1, 2,
     shell_cmd_separator, .topic = SHELL_ABOUT_OUTPUT, .details = "Until the next .mode.\n"},
    {".shell", "PROGRAM [ARGUMENT...]", "run a program", 1, 63, shell_cmd_shell, .topic = SHELL_ABOUT_SHELL,
     .reach = SHELL_REACH_PROGRAMS},
    {".show", "", "all that can be set", 0, 0, shell_cmd_show, .topic = SHELL_ABOUT_SHELL},
    {".similar", "TABLE ID [K] [--column C] [--confidence Z] [--where COND] [--device cpu|gpu|auto] [--exact]",
     "the nearest rows to a row, without itself", 2, 12, shell_cmd_similar, .topic = SHELL_ABOUT_VECTORS},
    {".system", "PROGRAM [ARGUMENT...]", "the same as .shell", 1, 63, shell_cmd_shell, .topic = SHELL_ABOUT_SHELL,
     .reach = SHELL_REACH_PROGRAMS},
    {".tables", "[TABLE]", "names of tables and views", 0, 1, shell_cmd_tables, .topic = SHELL_ABOUT_DATABASE,
     .details = "TABLE may have the signs of LIKE, or of GLOB, and a schema's name before it.\n"},
    {".timeout", "MILLISECONDS", "how long to wait for a database that is busy; 5000 at first", 1, 1, shell_cmd_timeout,
     .topic = SHELL_ABOUT_DATABASE},
    {".timer", "on|off", "say how long each statement took", 1, 1, shell_cmd_timer, .topic = SHELL_ABOUT_OUTPUT},
    {".tune", "TABLE RECALL [N] [--k K] [--queries TABLE] [--column C] [--seed N] [--device cpu|gpu|auto]",
     "the cheapest confidence that reaches a recall", 2, 13, shell_cmd_tune, .topic = SHELL_ABOUT_VECTORS,
     .details = "N rows, 2000 unless it is said: half of them to choose by, half to verify. Queries as in .recall.\n"},
    {".version", "", "versions of tqlite and of SQLite", 0, 0, shell_cmd_version, .topic = SHELL_ABOUT_SHELL},
    {".width", "[N...]", "how wide columns are; 0: as needed, negative: aligned to the right", 0, 63, shell_cmd_width,
     .topic = SHELL_ABOUT_OUTPUT, .details = "What is longer takes more lines.\n"},
};

const size_t shell_command_count = TQ_COUNT(shell_commands);
