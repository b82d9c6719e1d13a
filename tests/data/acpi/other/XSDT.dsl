// iasl version 20200925 (64-bit version)

[000h 0000   4]                    Signature : "XSDT"    [Extended System Description Table]
[004h 0004   4]                 Table Length : 0000005C
[008h 0008   1]                     Revision : 01
[009h 0009   1]                     Checksum : AD
[00Ah 0010   6]                       Oem ID : "BERTH "
[010h 0016   8]                 Oem Table ID : "Q35     "
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "BRTH"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   8]       ACPI Table Address   0 : 00000000000E2B48
[02Ch 0044   8]       ACPI Table Address   1 : 00000000000E2C60
[034h 0052   8]       ACPI Table Address   2 : 00000000000E2CE8
[03Ch 0060   8]       ACPI Table Address   3 : 00000000000E2D28
[044h 0068   8]       ACPI Table Address   4 : 00000000000E2D60
[04Ch 0076   8]       ACPI Table Address   5 : 00000000000E2E58
[054h 0084   8]       ACPI Table Address   6 : 00000000000E2E88

Raw Table Data: Length 92 (0x5C)

    0000: 58 53 44 54 5C 00 00 00 01 AD 42 45 52 54 48 20  // XSDT\.....BERTH 
    0010: 51 33 35 20 20 20 20 20 01 00 00 00 42 52 54 48  // Q35     ....BRTH
    0020: 01 00 00 00 48 2B 0E 00 00 00 00 00 60 2C 0E 00  // ....H+......`,..
    0030: 00 00 00 00 E8 2C 0E 00 00 00 00 00 28 2D 0E 00  // .....,......(-..
    0040: 00 00 00 00 60 2D 0E 00 00 00 00 00 58 2E 0E 00  // ....`-......X...
    0050: 00 00 00 00 88 2E 0E 00 00 00 00 00              // ............
