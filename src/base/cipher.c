/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES and base64 by nettle, which has no state of its own and allocates nothing.
 */
#include <string.h>

#include <nettle/aes.h>
#include <nettle/base64.h>
#include <nettle/cbc.h>

#include "berth/cipher.h"

G_STATIC_ASSERT(CIPHER_AES256_KEY_SIZE == AES256_KEY_SIZE);
G_STATIC_ASSERT(CIPHER_AES_BLOCK_SIZE == AES_BLOCK_SIZE);

void cipher_aes256_cbc_decrypt(const uint8_t key[CIPHER_AES256_KEY_SIZE],
                               const uint8_t iv[CIPHER_AES_BLOCK_SIZE],
                               const uint8_t *data, size_t size, uint8_t *out)
{
    struct CBC_CTX(struct aes256_ctx, AES_BLOCK_SIZE) cbc;

    g_assert(size % AES_BLOCK_SIZE == 0);
    aes256_set_decrypt_key(&cbc.ctx, key);
    CBC_SET_IV(&cbc, iv);
    CBC_DECRYPT(&cbc, aes256_decrypt, size, out, data);
    explicit_bzero(&cbc, sizeof(cbc));
}

bool cipher_base64_decode(const char *text, size_t size, uint8_t *out, size_t *ret_size)
{
    struct base64_decode_ctx decoder;
    bool good;

    base64_decode_init(&decoder);
    good = base64_decode_update(&decoder, ret_size, out, size, text) &&
           base64_decode_final(&decoder);
    explicit_bzero(&decoder, sizeof(decoder));
    return good;
}
