/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What berth needs of cryptography, behind which the library stands.
 *
 * Thread: any.
 */
#pragma once

#include "berth/base.h"

#define CIPHER_AES256_KEY_SIZE 32u
#define CIPHER_AES_BLOCK_SIZE 16u

/*
 * Decrypts @size bytes, a multiple of CIPHER_AES_BLOCK_SIZE, from @data to @out with
 * AES-256 in CBC mode.
 */
void cipher_aes256_cbc_decrypt(const uint8_t key[CIPHER_AES256_KEY_SIZE],
                               const uint8_t iv[CIPHER_AES_BLOCK_SIZE],
                               const uint8_t *data, size_t size, uint8_t *out);

/*
 * The bytes that @text says in base64, of which white space is no part; not more than
 * (@size + 3) / 4 * 3.  @ret_out has room for them.  False when it is no base64.
 */
bool cipher_base64_decode(const char *text, size_t size, uint8_t *out, size_t *ret_size);
