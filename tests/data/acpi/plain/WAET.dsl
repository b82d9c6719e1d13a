// iasl version 20200925 (64-bit version)

[000h 0000   4]                    Signature : "WAET"    [Windows ACPI Emulated Devices Table]
[004h 0004   4]                 Table Length : 00000028
[008h 0008   1]                     Revision : 01
[009h 0009   1]                     Checksum : 84
[00Ah 0010   6]                       Oem ID : "BERTH "
[010h 0016   8]                 Oem Table ID : "Q35     "
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "BRTH"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   4]        Flags (decoded below) : 00000002
                        RTC needs no INT ack : 0
                     PM timer, one read only : 1

Raw Table Data: Length 40 (0x28)

    0000: 57 41 45 54 28 00 00 00 01 84 42 45 52 54 48 20  // WAET(.....BERTH 
    0010: 51 33 35 20 20 20 20 20 01 00 00 00 42 52 54 48  // Q35     ....BRTH
    0020: 01 00 00 00 02 00 00 00                          // ........
