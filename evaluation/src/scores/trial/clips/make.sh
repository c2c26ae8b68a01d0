#!/bin/sh
# Makes the clips that `doctor` tries ffmpeg with: six grey frames, each lighter than the one before, at ten a second.
# Needs an ffmpeg with libx264, libx265, libaom, libvpx, mpeg4 and ffv1. Made with 5.1.
set -eu
cd "$(dirname "$0")"

make() {
    name=$1
    shift
    ffmpeg -nostdin -v error -y -f lavfi -i "color=black:s=48x32:r=10:d=0.6,geq=lum='40+N*32':cb=128:cr=128" \
        "$@" -map_metadata -1 -fflags +bitexact -flags:v +bitexact "$name"
}

make h264.mp4 -c:v libx264 -preset veryslow -g 3 -bf 1 -pix_fmt yuv420p -bsf:v filter_units=remove_types=6
make h264_10bit.mp4 -c:v libx264 -preset veryslow -g 3 -bf 1 -pix_fmt yuv420p10le -bsf:v filter_units=remove_types=6
make hevc.mp4 -c:v libx265 -x265-params log-level=none:info=0:keyint=3 -pix_fmt yuv420p -tag:v hvc1
make av1.mp4 -c:v libaom-av1 -cpu-used 8 -g 3 -pix_fmt yuv420p
make vp9.webm -c:v libvpx-vp9 -g 3 -pix_fmt yuv420p
make mpeg4.mp4 -c:v mpeg4 -g 3 -q:v 3 -pix_fmt yuv420p
make ffv1.mkv -c:v ffv1 -level 3 -g 3 -pix_fmt yuv420p
ls -l
