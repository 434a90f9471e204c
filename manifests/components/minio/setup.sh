# Every line may be run again.
set -eu
mc alias set store http://minio:9000 "$ROOT_USER" "$ROOT_SECRET"
mc mb --ignore-existing store/music-flamingo
mc ilm import store/music-flamingo < /setup/lifecycle.json
mc admin user add store "$ACCESS_KEY" "$SECRET_KEY"
mc admin policy create store music-flamingo /setup/policy.json
# attaching what is attached already is an error of mc's
mc admin policy attach store music-flamingo --user "$ACCESS_KEY" || mc admin user info store "$ACCESS_KEY" | grep -q music-flamingo
mc ls store/music-flamingo
