// SPDX-License-Identifier: Apache-2.0

// A client of QMP by go-qemu: it connects to the socket of its argument, asks, stops the
// machine and waits for the event, and writes a line for each.
package main

import (
    "context"
    "fmt"
    "os"
    "time"

    "github.com/digitalocean/go-qemu/qmp"
)

func check(err error) {
    if err != nil {
        fmt.Println("failed:", err)
        os.Exit(1)
    }
}

func main() {
    monitor, err := qmp.NewSocketMonitor("unix", os.Args[1], 20*time.Second)
    check(err)
    check(monitor.Connect())
    events, err := monitor.Events(context.Background())
    check(err)
    raw, err := monitor.Run([]byte(`{ "execute": "query-status" }`))
    check(err)
    fmt.Println("status:", string(raw))
    _, err = monitor.Run([]byte(`{ "execute": "no-such-command" }`))
    fmt.Println("error:", err)
    done := make(chan string)
    go func() {
        for event := range events {
            if event.Event == "RESUME" {
                done <- event.Event
            }
        }
    }()
    _, err = monitor.Run([]byte(`{ "execute": "cont" }`))
    check(err)
    fmt.Println("event:", <-done)
    check(monitor.Disconnect())
    fmt.Println("done")
}
