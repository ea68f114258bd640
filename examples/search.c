/* Search in ten lines: five words on a plane, and the two nearest to (1, 0.2).
 *
 *   cc search.c $(pkg-config --cflags --libs tq) -o search && ./search /tmp/words */
#include <stdio.h>

#include <tq.h>

static int failed(const char *what) {
    (void)fprintf(stderr, "%s: %s\n", what, tq_message());
    return 1;
}

int main(int argc, char **argv) {
    static const char *const words[] = {"east", "north", "west", "south", "north-east"};
    static const int64_t ids[] = {0, 1, 2, 3, 4};
    static const float vectors[] = {1, 0, 0, 1, -1, 0, 0, -1, 1, 1}, query[] = {1, 0.2f};
    struct tq_index_options options = tq_index_defaults(2);
    struct tq_hit hits[2];
    size_t count = 0;
    tq_store *store = NULL;
    tq_index *index = NULL;

    if (argc != 2) return (void)fprintf(stderr, "usage: search <new folder>\n"), 2;
    if (tq_open(argv[1], TQ_OPEN_CREATE, &store) != TQ_OK) return failed("open");
    if (tq_index_create(store, "words", &options, &index) != TQ_OK) return failed("create");
    if (tq_put_many(index, ids, vectors, 5) != TQ_OK) return failed("put");
    if (tq_search(index, query, 1, 2, NULL, hits, &count, NULL) != TQ_OK) return failed("search");

    for (size_t i = 0; i < count; i++) printf("%-12s %.4f\n", words[hits[i].id], hits[i].score);
    tq_index_close(index);
    tq_close(store);
    return count == 2 && hits[0].id == 0 && hits[1].id == 4 ? 0 : 1;
}
