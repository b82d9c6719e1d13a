/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to disks (virtio 1.3, section 5.6.6.1).
 *
 *     to read:   header, CDB of cdb_size bytes | data for the unit
 *     to write:  response, sense of sense_size bytes | data of the unit
 *
 * wherever the driver's buffers begin and end.  The unit gets the rest of the lists of
 * buffers; where the first buffer of it is also the response's, it is cut meanwhile.  A
 * request without room for what is in front of the data is no request and breaks the
 * device.
 */
#include <string.h>

#include "berth/iov.h"

#include "virtio-scsi.h"

#define HEADER_SIZE offsetof(struct virtio_scsi_cmd_req, cdb)
#define RESPONSE_SIZE offsetof(struct virtio_scsi_cmd_resp, sense)

/* The well known logical unit that reports all units of all targets. */
static const uint8_t report_luns_unit[8] = { 0xc1, 0x01 };

bool virtio_scsi_req_parse_lun(const uint8_t *address, unsigned *ret_target,
                           unsigned *ret_lun)
{
    /* One level: on bus 0, or in the flat space. */
    if (address[0] != 1 || (address[2] != 0 && address[2] >> 6 != 1))
        return false;
    *ret_target = address[1];
    *ret_lun = ((unsigned)address[2] << 8 | address[3]) & SCSI_MAX_LUN;
    return true;
}

static VirtqueueReq *vreq_of(ScsiReq *req)
{
    return (VirtqueueReq *)CONTAINER_OF(req, VirtioScsiReq, scsi) - 1;
}

/* Steps over @size bytes; returns how many of them are in the first buffer behind. */
static uint32_t skip(struct iovec **iov, unsigned *n_iov, size_t size)
{
    while (*n_iov > 0 && size >= (*iov)->iov_len) {
        size -= (*iov)->iov_len;
        (*iov)++;
        (*n_iov)--;
    }
    if (size > 0) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + size;
        (*iov)->iov_len -= size;
    }
    return (uint32_t)size;
}

/* The first buffer of data is whole again, so that the response can be written. */
static void undo_cut(VirtioScsiReq *ctx)
{
    if (ctx->cut == 0)
        return;
    ctx->scsi.in->iov_base = (uint8_t *)ctx->scsi.in->iov_base - ctx->cut;
    ctx->scsi.in->iov_len += ctx->cut;
    ctx->cut = 0;
}

/* @n_moved bytes of data were moved, @n_written of them to the guest. */
static void finish(VirtqueueReq *vreq, uint8_t response, uint32_t n_moved)
{
    VirtioScsiReq *ctx = virtqueue_req_ctx(vreq);
    const ScsiReq *req = &ctx->scsi;
    uint32_t n_written = req->in_size > 0 ? n_moved : 0;
    uint8_t bytes[RESPONSE_SIZE + VIRTIO_SCSI_SENSE_MAX] = { 0 };
    struct virtio_scsi_cmd_resp *to = (struct virtio_scsi_cmd_resp *)bytes;

    to->resid = GUINT32_TO_LE(req->out_size + req->in_size - n_moved);
    to->response = response;
    if (response == VIRTIO_SCSI_S_OK) {
        uint32_t sense_size = MIN(req->sense_size, ctx->response_size - RESPONSE_SIZE);

        to->status = req->status;
        to->sense_len = GUINT32_TO_LE(sense_size);
        memcpy(to->sense, req->sense, sense_size);
    }
    undo_cut(ctx);
    virtqueue_req_write(vreq, 0, bytes, ctx->response_size);
    virtqueue_push(vreq->vq, vreq, ctx->response_size + n_written);
}

void virtio_scsi_req_on_done(ScsiBus *bus, ScsiReq *req)
{
    static const uint8_t responses[] = {
        [SCSI_OUTCOME_STATUS] = VIRTIO_SCSI_S_OK,
        [SCSI_OUTCOME_BAD_TARGET] = VIRTIO_SCSI_S_BAD_TARGET,
        [SCSI_OUTCOME_OVERRUN] = VIRTIO_SCSI_S_OVERRUN,
        [SCSI_OUTCOME_ABORTED] = VIRTIO_SCSI_S_ABORTED,
        [SCSI_OUTCOME_RESET] = VIRTIO_SCSI_S_RESET,
    };

    finish(vreq_of(req), responses[req->outcome],
           req->outcome == SCSI_OUTCOME_STATUS ? req->n_moved : 0);
}

void virtio_scsi_req_on_hold(ScsiBus *bus, ScsiReq *req)
{
    VirtqueueReq *vreq = vreq_of(req);

    virtqueue_hold(vreq->vq, vreq);
}

void virtio_scsi_req_on_unhold(ScsiBus *bus, ScsiReq *req)
{
    VirtqueueReq *vreq = vreq_of(req);

    virtqueue_unhold(vreq->vq, vreq);
}

/* Fills in the request; false: it was none, and the device is broken. */
static bool read_request(VirtioScsi *scsi, VirtqueueReq *vreq, uint8_t *lun)
{
    uint32_t cdb_size = __atomic_load_n(&scsi->cdb_size, __ATOMIC_RELAXED);
    uint32_t sense_size = __atomic_load_n(&scsi->sense_size, __ATOMIC_RELAXED);
    VirtioScsiReq *ctx = virtqueue_req_ctx(vreq);
    ScsiReq *req = &ctx->scsi;
    struct virtio_scsi_cmd_req header = { 0 };
    struct iovec *out = vreq->out;
    unsigned n_out = vreq->n_out;

    if (vreq->out_size < HEADER_SIZE + cdb_size ||
        vreq->in_size < RESPONSE_SIZE + sense_size) {
        virtqueue_error(vreq->vq, "request with %u bytes to read and %u to write",
                        vreq->out_size, vreq->in_size);
        return false;
    }
    virtqueue_req_read(vreq, 0, &header, HEADER_SIZE + MIN(cdb_size, SCSI_CDB_MAX));
    memcpy(lun, header.lun, sizeof(header.lun));
    req->tag = GUINT64_FROM_LE(header.tag);
    memcpy(req->cdb, header.cdb, SCSI_CDB_MAX);
    req->cdb_size = (uint8_t)MIN(cdb_size, SCSI_CDB_MAX);

    skip(&out, &n_out, HEADER_SIZE + cdb_size);
    req->out = out;
    req->n_out = n_out;
    req->out_size = vreq->out_size - (uint32_t)HEADER_SIZE - cdb_size;
    req->in = vreq->in;
    req->n_in = vreq->n_in;
    ctx->response_size = (uint32_t)RESPONSE_SIZE + sense_size;
    ctx->cut = skip(&req->in, &req->n_in, ctx->response_size);
    req->in_size = vreq->in_size - ctx->response_size;
    return true;
}

static void start(VirtioScsi *scsi, VirtqueueReq *vreq)
{
    VirtioScsiReq *ctx = virtqueue_req_ctx(vreq);
    ScsiReq *req = &ctx->scsi;
    unsigned loop = scsi->loop_numbers[vreq->vq->index - VIRTIO_SCSI_REQUESTS];
    unsigned target, lun;
    uint8_t address[8];

    if (!read_request(scsi, vreq, address)) {
        virtqueue_drop(vreq->vq, vreq);
        return;
    }
    /* Both ways is of VIRTIO_SCSI_F_INOUT. */
    if (req->in_size > 0 && req->out_size > 0)
        finish(vreq, VIRTIO_SCSI_S_FAILURE, 0);
    else if (memcmp(address, report_luns_unit, sizeof(address)) == 0)
        scsi_bus_start_well_known(&scsi->bus, req);
    else if (virtio_scsi_req_parse_lun(address, &target, &lun))
        scsi_bus_start(&scsi->bus, loop, target, lun, req);
    else
        finish(vreq, VIRTIO_SCSI_S_BAD_TARGET, 0);
}

void virtio_scsi_req_handle_queue(VirtioScsi *scsi, Virtqueue *vq)
{
    VirtqueueReq *vreq;

    while ((vreq = virtqueue_pop(vq)))
        start(scsi, vreq);
}
