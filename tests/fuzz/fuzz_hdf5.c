/* HDF5 files as libhdf5 can write them, whose datasets are anything but rows of vectors. Bytes that libhdf5 itself has
 * to take apart are no inputs: 1.10.8 reads beyond its memory, or for ever, before this library sees anything. */
#include "src/base/base.h"
#include "tests/fuzz/fuzz_file.h"

#ifdef TQ_HAVE_HDF5
#include <hdf5.h>

enum { ELEMENTS_MAX = 4096, CHOSEN = 8 }; /* bytes of data that the input chooses */

/* Types with odd bits are what users can make; a value need not make sense in them. */
static hid_t odd_float(struct fuzz_input *input) {
    hid_t type = H5Tcopy(H5T_IEEE_F64LE);
    size_t bits = 16 + fuzz_byte(input) % 49u, mantissa = 1 + fuzz_byte(input) % 40u;
    size_t exponent = 2 + fuzz_byte(input) % 10u;
    (void)H5Tset_fields(type, mantissa + exponent, mantissa, exponent, 0, mantissa);
    (void)H5Tset_precision(type, bits);
    (void)H5Tset_size(type, 2 + fuzz_byte(input) % 7u);
    (void)H5Tset_ebias(type, fuzz_byte(input));
    return type;
}

static hid_t new_type(struct fuzz_input *input) {
    const hid_t plain[] = {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_STD_I8LE, H5T_STD_U8LE,   H5T_STD_I16BE,
                           H5T_STD_I32LE,  H5T_STD_U64LE,  H5T_STD_B16LE,  H5T_C_S1,     H5T_STD_REF_OBJ};
    unsigned choice = fuzz_byte(input) % 16u;
    hid_t type = -1;
    if (choice < TQ_COUNT(plain)) return H5Tcopy(plain[choice]);
    if (choice == 11 || choice == 12) return odd_float(input);
    if (choice == 13) {
        type = H5Tcreate(H5T_COMPOUND, 8);
        (void)H5Tinsert(type, "r", 0, H5T_NATIVE_FLOAT);
    } else if (choice == 14) {
        type = H5Tenum_create(H5T_STD_I8LE);
        (void)H5Tenum_insert(type, "TRUE", &(int8_t){1});
    } else {
        type = H5Tcopy(H5T_C_S1);
        (void)H5Tset_size(type, H5T_VARIABLE);
    }
    return type;
}

static hsize_t new_extent(struct fuzz_input *input) {
    unsigned choice = fuzz_byte(input);
    return choice < 240 ? choice % 40u : (hsize_t)fuzz_number(input, choice - 239u > 8 ? 8 : choice - 239u) >> 2;
}

/* Data are written where they are few, else what is claimed is not there. */
static void put_dataset(hid_t file, const char *name, struct fuzz_input *input) {
    static uint8_t data[ELEMENTS_MAX * 16];
    hsize_t shape[3], chunk[3], elements = 1;
    int dimensions = (int)(fuzz_byte(input) % 8u);
    dimensions = dimensions >= 3 ? 2 : dimensions;
    for (int i = 0; i < dimensions; i++) {
        shape[i] = new_extent(input);
        chunk[i] = 1 + fuzz_byte(input) % 64u;
        elements = shape[i] == 0 || elements <= ELEMENTS_MAX / shape[i] ? elements * shape[i] : ELEMENTS_MAX + 1;
    }
    hid_t type = new_type(input), settings = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = dimensions == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(dimensions, shape, NULL);
    unsigned layout = fuzz_byte(input);
    if (layout % 4 == 1) (void)H5Pset_layout(settings, H5D_COMPACT);
    if (layout % 4 >= 2 && dimensions > 0) (void)H5Pset_chunk(settings, dimensions, chunk);
    if (layout & 8) (void)H5Pset_shuffle(settings);
    if (layout & 16) (void)H5Pset_deflate(settings, 1);
    if (layout & 32) (void)H5Pset_fletcher32(settings);
    hid_t dataset = space < 0 || type < 0 ? -1
                                          : H5Dcreate2(file, name, type, space, H5P_DEFAULT, settings, H5P_DEFAULT);
    bool fixed = type >= 0 && H5Tget_class(type) != H5T_STRING && H5Tget_class(type) != H5T_REFERENCE;
    if (dataset >= 0 && fixed && elements <= ELEMENTS_MAX && (layout & 64) == 0) {
        for (size_t i = 0; i < sizeof data; i++) data[i] = i < CHOSEN ? fuzz_byte(input) : (uint8_t)(i * 37);
        (void)H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    }
    if (dataset >= 0) (void)H5Dclose(dataset);
    if (space >= 0) (void)H5Sclose(space);
    if (type >= 0) (void)H5Tclose(type);
    (void)H5Pclose(settings);
}

static void put_attribute(hid_t file, const char *name, struct fuzz_input *input) {
    static const char *const texts[] = {"angular", "euclidean", "dot", "jaccard", "", "x\xff"};
    char text[512] = ""; /* two of the longest */
    char *variable = text;
    unsigned kind = fuzz_byte(input);
    (void)snprintf(text, sizeof text, "%s", texts[fuzz_byte(input) % TQ_COUNT(texts)]);
    hid_t type = H5Tcopy(kind & 1 ? H5T_C_S1 : H5T_STD_I16LE);
    if (kind & 1) (void)H5Tset_size(type, kind & 2 ? H5T_VARIABLE : 1 + kind % 200u);
    const hsize_t two = 2;
    hid_t space = kind & 4 ? H5Screate_simple(1, &two, NULL) : H5Screate(kind & 8 ? H5S_NULL : H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0 && (kind & 6) != 6) {
        (void)H5Awrite(attribute, type, (kind & 3) == 3 ? (const void *)&variable : (const void *)text);
    }
    if (attribute >= 0) (void)H5Aclose(attribute);
    (void)H5Sclose(space);
    (void)H5Tclose(type);
}

static void make_file(const char *path, struct fuzz_input *input) {
    static const char *const names[] = {"train", "test", "neighbors", "distances", "size_train", "g/test", "more"};
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    fuzz_require(file >= 0, "a file");
    hid_t group = H5Gcreate2(file, "g", links, H5P_DEFAULT, H5P_DEFAULT);
    unsigned which = fuzz_byte(input), attributes = fuzz_byte(input);
    for (size_t i = 0; i < TQ_COUNT(names); i++)
        if (which >> i & 1) put_dataset(file, names[i], input);
    if (attributes & 1) put_attribute(file, "distance", input);
    if (attributes & 2) put_attribute(file, "dimension", input);
    if (attributes & 4) (void)H5Lcreate_hard(file, "/", group, "circle", H5P_DEFAULT, H5P_DEFAULT);
    if (attributes & 8) (void)H5Lcreate_external("/etc/passwd", "/", file, "away", H5P_DEFAULT, H5P_DEFAULT);
    (void)H5Gclose(group);
    (void)H5Pclose(links);
    fuzz_require(H5Fclose(file) >= 0, "a file that was written");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const parts[] = {NULL, "test", "g/test", "away", "g/circle/more", "g"};
    struct fuzz_input input = {data, size};
    struct tq_reader_options options = tq_reader_defaults();
    const char *path = fuzz_file(NULL, 0);
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    make_file(path, &input);
    for (size_t i = 0; i < TQ_COUNT(parts); i++) {
        options.part = parts[i];
        options.format = "hdf5";
        fuzz_read_path(&options, path);
        fuzz_require(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL) == 0, "nothing is left open");
    }
    return 0;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tq_reader_options options = tq_reader_defaults();
    options.format = "hdf5";
    fuzz_read(&options, data, size);
    return 0;
}
#endif
