/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret: bytes from the options or a file, as they are, in base64, or encrypted with
 * another secret.  They are read once, when the object is made, and wiped with it; what a
 * client can read of the object does not show them.
 *
 * Every buffer that held them, or a step on the way, is a Buffer and is wiped.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "berth/cipher.h"
#include "berth/error.h"

#include "berth/secret.h"

/* How long a pipe may keep main waiting for the next bytes. */
#define FILE_WAIT_MS 5000

typedef struct Buffer {
    uint8_t *bytes;             /* with a NUL after them */
    size_t size;
    size_t room;
} Buffer;

typedef struct Secret {
    Object object;
    Buffer plain;
} Secret;

static Secret *to_secret(const Object *object)
{
    return CONTAINER_OF((Object *)object, Secret, object);
}

static void buffer_init(Buffer *buffer, size_t room)
{
    buffer->bytes = g_malloc0(room + 1);
    buffer->room = room;
    buffer->size = 0;
}

static void buffer_wipe(Buffer *buffer)
{
    if (buffer->bytes)
        explicit_bzero(buffer->bytes, buffer->room);
    g_clear_pointer(&buffer->bytes, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Buffer, buffer_wipe)

static void wipe_text(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    g_clear_pointer(text, g_free);
}

/* Reads to the end; false with errno. */
static bool read_all(int fd, Buffer *out)
{
    struct pollfd pollfd = { .fd = fd, .events = POLLIN };
    ssize_t n;

    for (;;) {
        n = read(fd, out->bytes + out->size, out->room - out->size);
        if (n == 0)
            return true;
        if (n > 0)
            out->size += (size_t)n;
        if (out->size == out->room) {
            errno = EFBIG;
            return false;
        }
        if (n > 0 || errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return false;
        if (poll(&pollfd, 1, FILE_WAIT_MS) == 0) {
            errno = ETIMEDOUT;
            return false;
        }
    }
}

static bool read_file(const char *path, Buffer *out, GError **error)
{
    g_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        error_set_errno(error, errno, "parameter 'file': cannot open '%s'", path);
        return false;
    }
    buffer_init(out, SECRET_SIZE_MAX + 1);
    if (read_all(fd, out))
        return true;
    error_set_errno(error, errno, "parameter 'file': cannot read '%s'", path);
    return false;
}

static bool read_input(const SecretProps *props, Buffer *out, GError **error)
{
    if ((props->data != NULL) == (props->file != NULL)) {
        error_set(error, "a secret has one of 'data' and 'file'");
        return false;
    }
    if (props->file)
        return read_file(props->file, out, error);
    if (strlen(props->data) > SECRET_SIZE_MAX) {
        error_set(error, "parameter 'data': a secret has up to %zu bytes",
                  (size_t)SECRET_SIZE_MAX);
        return false;
    }
    buffer_init(out, strlen(props->data));
    out->size = out->room;
    memcpy(out->bytes, props->data, out->size);
    return true;
}

/* Replaces base64 by what it says. */
static bool decode(const char *parameter, Buffer *buffer, GError **error)
{
    Buffer decoded;

    buffer_init(&decoded, (buffer->size + 3) / 4 * 3);
    if (!cipher_base64_decode((const char *)buffer->bytes, buffer->size, decoded.bytes,
                              &decoded.size)) {
        error_set(error, "parameter '%s' is not valid base64", parameter);
        buffer_wipe(&decoded);
        return false;
    }
    buffer_wipe(buffer);
    *buffer = decoded;
    return true;
}

static bool find_iv(const SecretProps *props, uint8_t iv[CIPHER_AES_BLOCK_SIZE],
                    GError **error)
{
    g_auto(Buffer) buffer = { 0 };

    if (!props->iv) {
        error_set(error, "parameter 'iv' is needed with 'keyid'");
        return false;
    }
    buffer_init(&buffer, strlen(props->iv));
    buffer.size = buffer.room;
    memcpy(buffer.bytes, props->iv, buffer.size);
    if (!decode("iv", &buffer, error))
        return false;
    if (buffer.size != CIPHER_AES_BLOCK_SIZE) {
        error_set(error, "parameter 'iv' has %zu bytes, expected are %u", buffer.size,
                  CIPHER_AES_BLOCK_SIZE);
        return false;
    }
    memcpy(iv, buffer.bytes, CIPHER_AES_BLOCK_SIZE);
    return true;
}

/* Takes off the 1 to 16 bytes of padding (RFC 5652, 6.3), each of which is its length. */
static bool take_padding_off(Buffer *plain, GError **error)
{
    uint8_t n = plain->bytes[plain->size - 1];
    bool good = n >= 1 && n <= CIPHER_AES_BLOCK_SIZE;

    for (size_t i = 0; good && i < n; i++)
        good = plain->bytes[plain->size - 1 - i] == n;
    if (!good) {
        error_set(error, "the secret cannot be decrypted: its padding is wrong (is it of "
                  "this 'keyid' and 'iv'?)");
        return false;
    }
    plain->size -= n;
    memset(plain->bytes + plain->size, 0, n);
    return true;
}

/* Replaces what is encrypted by what it says. */
static bool decrypt(ObjectSet *set, const SecretProps *props, Buffer *buffer,
                    GError **error)
{
    uint8_t iv[CIPHER_AES_BLOCK_SIZE];
    const uint8_t *key;
    size_t key_size;
    Buffer plain;

    key = secret_find(set, props->keyid, &key_size, error);
    if (!key) {
        g_prefix_error(error, "parameter 'keyid': ");
        return false;
    }
    if (key_size != CIPHER_AES256_KEY_SIZE) {
        error_set(error, "parameter 'keyid': secret '%s' has %zu bytes, a key has %u",
                  props->keyid, key_size, CIPHER_AES256_KEY_SIZE);
        return false;
    }
    if (!find_iv(props, iv, error))
        return false;
    if (!buffer->size || buffer->size % CIPHER_AES_BLOCK_SIZE) {
        error_set(error, "the encrypted secret has %zu bytes, expected is a multiple of "
                  "%u", buffer->size, CIPHER_AES_BLOCK_SIZE);
        return false;
    }
    buffer_init(&plain, buffer->size);
    plain.size = plain.room;
    cipher_aes256_cbc_decrypt(key, iv, buffer->bytes, buffer->size, plain.bytes);
    buffer_wipe(buffer);
    *buffer = plain;
    return take_padding_off(buffer, error);
}

static bool secret_complete(Object *object, const ObjectOptions *options, GError **error)
{
    const SecretProps *props = &options->u.secret;
    g_auto(Buffer) buffer = { 0 };
    bool is_read = read_input(props, &buffer, error);

    /* From here on it is in one place only. */
    wipe_text(&object->options->u.secret.data);
    if (!is_read)
        return false;
    if (props->format == Q_CRYPTO_SECRET_FORMAT_BASE64 &&
        !decode(props->file ? "file" : "data", &buffer, error))
        return false;
    if (props->keyid && !decrypt(object->set, props, &buffer, error))
        return false;
    if (!props->keyid && props->iv) {
        error_set(error, "parameter 'iv' is only for a secret with 'keyid'");
        return false;
    }
    to_secret(object)->plain = buffer;
    buffer = (Buffer) { 0 };
    return true;
}

static void secret_done(Object *object)
{
    buffer_wipe(&to_secret(object)->plain);
}

const uint8_t *secret_find(ObjectSet *set, const char *id, size_t *ret_size,
                           GError **error)
{
    const Object *object = object_find(set, id);

    if (!object || object->class->family != OBJECT_FAMILY_SECRET) {
        error_set(error, "there is no secret '%s'", id);
        return NULL;
    }
    *ret_size = to_secret(object)->plain.size;
    return to_secret(object)->plain.bytes;
}

const char *secret_find_text(ObjectSet *set, const char *id, GError **error)
{
    size_t size;
    const uint8_t *bytes = secret_find(set, id, &size, error);

    if (!bytes)
        return NULL;
    if (!g_utf8_validate((const char *)bytes, (gssize)size, NULL)) {
        error_set(error, "secret '%s' is no text in UTF-8", id);
        return NULL;
    }
    return (const char *)bytes;
}

const ObjectClass secret_class = {
    .name = "secret",
    .family = OBJECT_FAMILY_SECRET,
    .instance_size = sizeof(Secret),
    .complete = secret_complete,
    .done = secret_done,
};
