"""A tiny model that has learned nothing, as a finished port."""

from music_flamingo.core.manifest import Manifest, complete, files_digest, list_files


def write_model(root, corpus):
    from music_flamingo.model.files import save_model
    from music_flamingo.model.size import TinySize
    from music_flamingo.model.tiny import build_model, build_processor, build_tokenizer

    size = TinySize(
        width=32,
        encoder_layers=1,
        language_layers=1,
        heads=2,
        key_value_heads=2,
        feed_forward=64,
        vocabulary=400,
        mel_bins=32,
        fft_samples=512,
        hop_samples=320,
        window_s=2,
        max_audio_s=2,
        context_tokens=1024,
        init_std=0.08,
    )
    processor = build_processor(build_tokenizer(corpus, size.vocabulary), size, 16000)
    save_model(build_model(processor, size, seed=0), processor, root)
    files = list_files(root)
    manifest = {"stage": "sft", "port": "sft_model", "record": "folder", "key": "by hand", "config": {}, "inputs": {}}
    manifest |= {"files": files, "num_records": None, "status": {}, "metrics": {}, "digest": files_digest(files)}
    complete(root, Manifest.model_validate(manifest))
